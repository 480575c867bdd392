const EQUALS = 0x3d;

/**
 * Decodes padded base64 (RFC 4648, either alphabet) into `target`. Returns the bytes written, or -1 when the text is not exactly that.
 * Node's decoder skips what it does not know instead of failing; each skipped character makes the output shorter than the
 * length of the text implies, so the length alone tells a clean text from a dirty one.
 */
export function decodeBase64(text: string, target: Buffer, offset: number): number {
  const length = base64Bytes(text);
  if (length < 0 || offset + length > target.length) return -1;
  return target.write(text, offset, length, 'base64') === length ? length : -1;
}

/** Bytes that a clean base64 text of this length and padding holds; -1 when the length is impossible. */
export function base64Bytes(text: string): number {
  const chars = text.length;
  if (chars % 4 !== 0) return -1;
  if (chars === 0) return 0;
  let padding = 0;
  if (text.charCodeAt(chars - 1) === EQUALS) padding = text.charCodeAt(chars - 2) === EQUALS ? 2 : 1;
  return (chars / 4) * 3 - padding;
}
