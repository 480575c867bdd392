/** Taps on each side of a windowed sinc: enough that what lies above 8 kHz is over 40 dB down. */
const HALF_TAPS = 12;
const UP = 3;
const DOWN = 2;

/** For each of the three positions between input samples, the weights of the inputs around it (Hann-windowed sinc, unity gain). */
const PHASES: readonly Float64Array[] = Array.from({ length: UP }, (_, phase) => {
  const shift = phase / UP;
  const taps = Float64Array.from({ length: 2 * HALF_TAPS }, (_, index) => {
    const x = index - (HALF_TAPS - 1) - shift;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    return sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / HALF_TAPS));
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
});

/** 16 kHz to 24 kHz by a polyphase filter. */
export function to24kHertz(pcm: Int16Array): Int16Array {
  const out = new Int16Array(Math.floor((pcm.length * UP) / DOWN));
  for (let n = 0; n < out.length; n++) {
    const position = n * DOWN;
    const base = Math.floor(position / UP) - (HALF_TAPS - 1);
    const taps = PHASES[position % UP] as Float64Array;
    let sum = 0;
    for (let k = 0; k < taps.length; k++) sum += (pcm[base + k] ?? 0) * (taps[k] as number);
    out[n] = Math.max(-32_768, Math.min(32_767, Math.round(sum)));
  }
  return out;
}
