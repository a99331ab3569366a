import { useEffect, useState } from "preact/hooks";

const PAUSE_MS = 400;

/** Says what has changed, once it has come to rest; nothing when the page opens. */
export function Spoken({ text }: { text: string }) {
  const [first] = useState(text);
  const [said, say] = useState("");
  useEffect(() => {
    if (text === first && said === "") return;
    const timer = setTimeout(() => say(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <p role="status" class="unseen">
      {said}
    </p>
  );
}
