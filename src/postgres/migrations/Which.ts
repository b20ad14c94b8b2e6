/** Which direction of which migration is run. */
export interface Which {
  readonly version: bigint
  readonly name: string
  readonly direction: "up" | "down"
}
