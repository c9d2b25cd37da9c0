/** Hands a file to the browser's own download. */
export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The download has its own hold on the content only after the click was handled.
  setTimeout(() => {
    URL.revokeObjectURL(address);
  }, 10_000);
}
