/** Ports are chosen once and kept: the KBS's address is part of every step's identity. */
import { integer, object, parse } from "../../protocol/shape";
import { DevError } from "./errors";
import { type DevPaths, readIfThere, writePrivate } from "./files";

const portsShape = object({ kbs: integer(1, 65_535), ledger: integer(1, 65_535) });
export interface Ports {
  readonly kbs: number;
  readonly ledger: number;
}

/** undefined: not chosen yet. @throws DevError STATE. */
export function readPorts({ ports }: DevPaths): Ports | undefined {
  const text = readIfThere(ports);
  if (text === undefined) return undefined;
  try {
    return parse(portsShape, JSON.parse(text), ports);
  } catch (cause) {
    throw new DevError("STATE", `${ports} is damaged; remove it to choose new ports, then deploy again`, { cause });
  }
}

export const writePorts = (paths: DevPaths, ports: Ports): void => writePrivate(paths.ports, JSON.stringify(ports));
