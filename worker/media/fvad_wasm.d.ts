/** The part of the emscripten module that is used: libfvad, the voice activity detector of WebRTC. */
declare module '@echogarden/fvad-wasm' {
  interface FvadModule {
    _malloc(bytes: number): number;
    _free(address: number): void;
    /** Address of a new detector, or 0 when out of memory. */
    _fvad_new(): number;
    _fvad_free(detector: number): void;
    /** 0, or -1 for a mode outside 0 to 3. */
    _fvad_set_mode(detector: number, mode: number): number;
    /** 0, or -1 for a rate other than 8000, 16000, 32000, 48000. */
    _fvad_set_sample_rate(detector: number, hertz: number): number;
    /** 1 speech, 0 none, -1 for a frame that is not 10, 20 or 30 ms long. */
    _fvad_process(detector: number, samples: number, count: number): number;
    /** Replaced whenever the memory grows: never keep it. */
    HEAP16: Int16Array;
  }
  const load: () => Promise<FvadModule>;

  // biome-ignore lint/style/noDefaultExport: the package exports nothing else
  export { load as default };
}
