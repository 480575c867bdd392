declare const passedTheCodec: unique symbol;

/**
 * Text of a record that a `RecordCodec` has made. Whatever writes a record to a store takes this and not `string`, so that text that
 * never met the sealing policy is a compile error. It is plain only where the deployment has turned sealing off.
 */
export type SealedText = string & { readonly [passedTheCodec]: true };

/** For codecs alone: everybody else gets the type from a codec. */
export function asSealedText(text: string): SealedText {
  return text as SealedText;
}
