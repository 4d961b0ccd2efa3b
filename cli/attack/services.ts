/** Key broker and ledger on a copy of the state, on ports of their own, where attackers can get in between. */
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import * as path from "node:path";
import type { PipelineConnection } from "../../protocol/connection";
import { adminRules } from "../../relying-party/dev";
import { serverIdentity } from "../../relying-party/dev/certificates";
import { devPaths } from "../../relying-party/dev/files";
import { type Listener, listen } from "../../relying-party/dev/serve";
import { createDevKbs, type DevKbs } from "../../relying-party/dev-kbs";
import { type AdminKey, parseAdminKey } from "../../relying-party/kbs-client";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import type { Service } from "../../untrusted/attacks";

const BUSY = async () => Response.json({ error: { code: "BUSY", message: "starting" } }, { status: 503 });

export class Services {
  readonly kbs: Service;
  readonly ledger: Service;
  #kbs: DevKbs | undefined;
  #ledger: Ledger | undefined;
  #saved = 0;

  private constructor(
    private readonly home: string,
    private readonly connection: PipelineConnection,
    private readonly listeners: Listener[],
    readonly adminKey: AdminKey,
  ) {
    this.kbs = this.#service(listeners[0] as Listener, (request) => this.#kbs?.handle(request) ?? BUSY());
    this.ledger = this.#service(listeners[1] as Listener, (request) => this.#ledger?.handle(request) ?? BUSY());
  }

  static async start(home: string, connection: PipelineConnection): Promise<Services> {
    const paths = devPaths(home);
    const identity = await serverIdentity(paths.tls);
    const handlers: ((request: Request) => Promise<Response>)[] = [BUSY, BUSY];
    const listeners: Listener[] = [];
    for (const [i, name] of ["KBS", "ledger"].entries()) {
      listeners.push(await listen(name, 0, identity, (request) => (handlers[i] ?? BUSY)(request)));
    }
    const adminKey = parseAdminKey(readFileSync(paths.adminKey, "utf8"), paths.adminKey);
    const services = new Services(home, connection, listeners, adminKey);
    for (const [i, service] of [services.kbs, services.ledger].entries()) {
      handlers[i] = (request) => (service.hostile ?? service.honest)(request);
    }
    await services.#open();
    return services;
  }

  /** Copies the state of both. @returns its name. */
  async save(): Promise<string> {
    const name = String(++this.#saved);
    await this.#between(() => this.#copy(path.join(this.home, "dev"), this.#place(name)));
    return name;
  }

  async restore(name: string): Promise<void> {
    this.kbs.hostile = undefined;
    this.ledger.hostile = undefined;
    await this.#between(() => this.#copy(this.#place(name), path.join(this.home, "dev")));
  }

  async close(): Promise<void> {
    await this.#shut();
    for (const listener of this.listeners) await listener.close();
  }

  #service({ port }: Listener, honest: Service["honest"]): Service {
    return { port, honest, hostile: undefined };
  }

  #place = (name: string): string => path.join(this.home, "saved", name);

  #copy(from: string, to: string): void {
    for (const part of ["kbs", "ledger", "objects"]) {
      rmSync(path.join(to, part), { recursive: true, force: true });
      mkdirSync(to, { recursive: true });
      cpSync(path.join(from, part), path.join(to, part), { recursive: true });
    }
  }

  async #between(work: () => void): Promise<void> {
    await this.#shut();
    work();
    await this.#open();
  }

  async #open(): Promise<void> {
    const paths = devPaths(this.home);
    this.#kbs = createDevKbs({ dir: paths.kbs, admin: adminRules(this.adminKey) });
    this.#ledger = await createLedger({
      dir: paths.ledger,
      objectsDir: paths.objects,
      // Guests know the deployed address; their host leads them here.
      publicUrl: this.connection.ledgerUrl,
      sweepMs: 0,
      log: () => undefined,
    });
  }

  async #shut(): Promise<void> {
    await this.#ledger?.close();
    this.#kbs?.close();
    this.#ledger = undefined;
    this.#kbs = undefined;
  }
}
