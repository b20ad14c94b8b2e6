/** PostgreSQL cuts longer names without saying so. */
export const maxIdentifierBytes = 63
