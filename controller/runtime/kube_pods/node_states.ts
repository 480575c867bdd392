import type { Clock, Timer } from '../../../platform/clock.ts';
import type { Log } from '../../../platform/log.ts';
import type { Informer } from '../../kube/informer.ts';
import type { Node } from '../../kube/objects.ts';
import type { HostState } from '../ports.ts';
import { hostState } from './pod_state.ts';

/** Once some node is heard again after none was, the others have this long: kubelets come back one after the other. As Kubernetes' own grace. */
export const RETURN_MS = 40_000;
/** A node is taken for silent when it has been so for this long: the others may follow at once, and then it is not the nodes. */
export const SETTLE_MS = 5_000;

export interface NodeStatesOptions {
  readonly nodes: Pick<Informer<Node>, 'get' | 'list' | 'onChange'>;
  readonly clock: Clock;
  readonly log: Log;
  /** What is said of workers on that node has changed. */
  readonly onChange: (node: string) => void;
}

/** What is to be thought of each node, out of what the API server says of it. */
export class NodeStates {
  readonly #options: NodeStatesOptions;
  /** Nodes that give signs of life, as they were when asked last: every reading of every pool asks. */
  readonly #heard = new Map<string, 'usable' | 'leaving'>();
  /** Since when, by this process's clock, each silent node has been so. */
  readonly #silentSince = new Map<string, number>();
  readonly #timers = new Map<string, Timer>();
  readonly #unsubscribe: () => void;
  #noneHeard = false;
  #returningUntilMs = Number.NEGATIVE_INFINITY;
  #returning: Timer | undefined;

  constructor(options: NodeStatesOptions) {
    this.#options = options;
    this.#unsubscribe = options.nodes.onChange((old, now) => this.#changed(old, now));
    this.#noneHeard = this.#isNoneHeard();
  }

  of(name: string): HostState {
    const heard = this.#heard.get(name);
    if (heard !== undefined) return heard;
    const { nodes, clock } = this.#options;
    const state = hostState(nodes.get(undefined, name));
    if (state !== 'unreachable') {
      this.#heard.set(name, state);
      return state;
    }
    const nowMs = clock.monotonicMs();
    const sinceMs = this.#silentSince.get(name) ?? nowMs;
    this.#silentSince.set(name, sinceMs);
    if (nowMs - sinceMs < SETTLE_MS) return 'usable';
    return this.#noneHeard || nowMs < this.#returningUntilMs ? 'unheard' : 'unreachable';
  }

  close(): void {
    this.#unsubscribe();
    this.#returning?.cancel();
    for (const timer of this.#timers.values()) timer.cancel();
  }

  /** Kubelets write their node every few seconds; only a change of its state says something of the workers on it. */
  #changed(old: Node | undefined, now: Node | undefined): void {
    const name = (now ?? old)?.metadata.name ?? '';
    this.#heard.delete(name);
    const [before, after] = [old ? hostState(old) : undefined, hostState(now)];
    if (before === after) return;
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
    const { clock, onChange } = this.#options;
    if (after === 'unreachable') {
      if (!this.#silentSince.has(name)) this.#silentSince.set(name, clock.monotonicMs());
      this.#timers.set(
        name,
        clock.after(SETTLE_MS, () => onChange(name)),
      );
    } else this.#silentSince.delete(name);
    this.#weigh();
    onChange(name);
  }

  /** That every node falls silent is a fault of what listens to them. What was said of silent nodes changes with it. */
  #weigh(): void {
    const noneHeard = this.#isNoneHeard();
    if (noneHeard === this.#noneHeard) return;
    this.#noneHeard = noneHeard;
    const { log, clock } = this.#options;
    if (noneHeard) {
      log.warn('no node gives a sign of life: taken for trouble of the control plane, no worker is replaced for it');
    } else {
      log.info('nodes give signs of life again');
      this.#returningUntilMs = clock.monotonicMs() + RETURN_MS;
      this.#returning?.cancel();
      this.#returning = clock.after(RETURN_MS, () => this.#tellOfSilent());
    }
    this.#tellOfSilent();
  }

  #tellOfSilent(): void {
    for (const name of this.#silentSince.keys()) this.#options.onChange(name);
  }

  #isNoneHeard(): boolean {
    const all = this.#options.nodes.list();
    return all.length > 0 && all.every((node) => hostState(node) === 'unreachable');
  }
}
