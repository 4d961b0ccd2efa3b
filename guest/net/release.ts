/**
 * Gives a buffer's memory back at once. The collector does not see how much memory hangs on small objects until tens of
 * megabytes have gathered, and the runner's memory is the guest's: measured by `npm run bench -- memory`.
 */
export function release(bytes: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = bytes;
  // A part of a larger buffer is somebody else's too.
  if (byteOffset !== 0 || byteLength !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return;
  (buffer as ArrayBuffer & { transfer(size: number): ArrayBuffer }).transfer(0);
}
