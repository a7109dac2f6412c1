/**
 * Lets the event loop turn once, so that signals, timers and progress bars come to their right in the middle of long work on this thread.
 * @throws the signal's reason, when it is raised
 */
export async function breathe(signal?: AbortSignal): Promise<void> {
  await new Promise(resolve => setImmediate(resolve));
  signal?.throwIfAborted();
}
