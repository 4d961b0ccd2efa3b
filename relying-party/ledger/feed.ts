/** Wakes listeners of this process when something was written; those of other processes poll. */
export class Feed {
  readonly #listeners = new Set<() => void>();

  changed(): void {
    for (const wake of [...this.#listeners]) wake();
  }

  /** Resolves at the next change, after `ms`, or when `signal` is aborted. */
  next(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#listeners.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#listeners.add(done);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }
}
