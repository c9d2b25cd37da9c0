import { useView } from "../app/view";
import type { ErrorText } from "../api/contract";

/** What a code means; null as long as the texts have not come: then a code stands for itself. */
export function useErrorText(): (code: string) => ErrorText | null {
  const { errorTexts } = useView();
  const known = errorTexts.value;
  return (code) => {
    if (known === null) return null;
    // A code may be called as something that every object has.
    const own = Object.hasOwn(known.texts, code) ? known.texts[code] : undefined;
    return own ?? filled(known.unknown, code);
  };
}

function filled(text: ErrorText, code: string): ErrorText {
  const fill = (part: string) => part.replaceAll("{code}", () => code);
  return {
    title: fill(text.title),
    meaning: fill(text.meaning),
    action: fill(text.action),
    call: fill(text.call),
  };
}
