// Who is reading: fixed by the server, or what this browser remembers.

const KEY = "lungscore-reader";

/** The reader's name, "" where nobody has said it yet. */
export function readerName(session) {
  if (session.reader) return session.reader;
  const name = localStorage.getItem(KEY) ?? "";
  return session.readers.length && !session.readers.includes(name) ? "" : name;
}

/** Remember the name for the next visit; "" forgets it. */
export function rememberReader(name) {
  localStorage.setItem(KEY, name);
}
