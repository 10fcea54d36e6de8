/** Where a server listens. Port 0 takes a free one. */
export interface Listen {
  readonly host: string
  readonly port: number
}
