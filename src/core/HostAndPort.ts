/** Where a server is, as `host:port`; an IPv6 address stands in brackets. */
export const hostAndPort = ({ host, port }: { readonly host: string; readonly port?: number | undefined }): string => {
  const shown = host.includes(":") && !host.startsWith("/") ? `[${host}]` : host
  return port === undefined ? shown : `${shown}:${port}`
}
