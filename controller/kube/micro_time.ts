/** MicroTime of the API: RFC 3339 in UTC with exactly six decimals, which the server insists on. */
export function microTime(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, -1)}000Z`;
}
