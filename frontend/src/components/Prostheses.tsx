export function Prostheses() {
  return null;
}
