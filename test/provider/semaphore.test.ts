import { Semaphore } from "../../provider/semaphore";

const never = new AbortController().signal;
const tick = () => new Promise((resolve) => setImmediate(resolve));

describe("a semaphore", () => {
  it("runs at most its slots at once and lets the rest in by order", async () => {
    const semaphore = new Semaphore(2);
    const started: number[] = [];
    const ends: (() => void)[] = [];
    const all = [0, 1, 2, 3].map((i) =>
      semaphore.run(never, async () => {
        started.push(i);
        await new Promise<void>((resolve) => ends.push(resolve));
      }),
    );
    await tick();
    expect(started).toEqual([0, 1]);
    ends[1]?.();
    await tick();
    expect(started).toEqual([0, 1, 2]);
    ends[0]?.();
    await tick();
    expect(started).toEqual([0, 1, 2, 3]);
    for (const end of ends) end();
    await Promise.all(all);
  });

  it("gives the place back after a failure", async () => {
    const semaphore = new Semaphore(1);
    await expect(semaphore.run(never, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(semaphore.run(never, async () => "yes")).resolves.toBe("yes");
  });

  it("lets go of one that is cancelled while it waits", async () => {
    const semaphore = new Semaphore(1);
    let end = () => {};
    const first = semaphore.run(never, () => new Promise<void>((resolve) => (end = resolve)));
    const cancel = new AbortController();
    const waited: string[] = [];
    const second = semaphore.run(
      cancel.signal,
      async () => "ran",
      () => waited.push("waits"),
    );
    const third = semaphore.run(never, async () => "third");
    cancel.abort(new Error("stop"));
    await expect(second).rejects.toThrow("stop");
    end();
    await first;
    await expect(third).resolves.toBe("third");
    expect(waited).toEqual(["waits"]);
  });
});
