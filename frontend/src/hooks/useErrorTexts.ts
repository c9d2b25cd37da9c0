export interface ErrorText {
  title: string;
  meaning: string;
  todo: string;
  call: string;
}

export interface ErrorTexts {
  /** Null where nothing is known about the code. */
  textOf: (code: string) => ErrorText | null;
  /** The code in words, as short as a heading; the code itself where nothing is known about it. */
  titleOf: (code: string) => string;
}

export function useErrorTexts(): ErrorTexts {
  return { textOf: () => null, titleOf: (code) => code };
}
