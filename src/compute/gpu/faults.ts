/**
 * What went wrong on a device. WebGPU throws nothing: a refused command is dropped, and with it all others of its command buffer. So every
 * batch is watched by error scopes, what nobody watched comes as an event, and whoever reads asks here first.
 */
import { firstLine, GpuError, type GpuFault, mib } from './failure.ts';

/** Faults of one device, first come first. */
export class Faults {
  private first: GpuError | undefined;
  private readonly waiting = new Set<Promise<unknown>>();
  /** The operators of the batch that was submitted last, or is being filled. */
  operators: ReadonlySet<string> = new Set();
  /** Set before the device is ended on purpose. */
  closing = false;

  constructor(
    private readonly device: GPUDevice,
    private readonly held: () => number,
  ) {
    device.addEventListener('uncapturederror', event => {
      event.preventDefault();
      const { error } = event as GPUUncapturedErrorEvent;
      this.note(this.faultOf(error), error.message, this.operators);
    });
    device.lost.then(({ message }) => {
      if (!this.closing) this.note('lost', message, this.operators);
    });
  }

  private faultOf(error: GPUError): GpuFault {
    const kind = error.constructor?.name ?? '';
    return kind === 'GPUOutOfMemoryError' ? 'memory' : 'refused';
  }

  /** Remembers a fault; the first one is what `check` throws. A loss replaces what it was the reason of. */
  note(fault: GpuFault, message: string, operators: ReadonlySet<string>, asked?: number): void {
    if (this.first && !(fault === 'lost' && this.first.fault !== 'lost')) return;
    const doing = operators.size === 0 ? '' : ` in ${[...operators].slice(-4).join(', ')}`;
    const what = {
      lost: `the GPU was lost${doing} (${firstLine(message) || 'no reason given'})`,
      memory: `the GPU is out of memory${doing}: ${asked === undefined ? '' : `asked for ${mib(asked)}, `}${mib(this.held())} held`,
      refused: `the GPU refused${doing || ' a command'}: ${firstLine(message)}`,
      limit: `${firstLine(message)}${doing}`,
      absent: message,
    }[fault];
    this.first = new GpuError(fault, what);
  }

  /** Watches what `work` does on the device; `asked` is what it wants to allocate. */
  watch<A>(operators: ReadonlySet<string>, work: () => A, asked?: number): A {
    const filters: GPUErrorFilter[] = ['validation', 'out-of-memory', 'internal'];
    for (const filter of filters) this.device.pushErrorScope(filter);
    try {
      return work();
    } finally {
      for (let i = 0; i < filters.length; i++) {
        const popped = this.device.popErrorScope().then(
          error => {
            if (error) this.note(this.faultOf(error), error.message, operators, asked);
          },
          () => {},
        );
        this.waiting.add(popped);
        popped.finally(() => this.waiting.delete(popped));
      }
    }
  }

  /** Waits for the scopes that are open, then throws what went wrong since the device was opened. */
  async settled(): Promise<void> {
    await Promise.all(this.waiting);
    this.check();
  }

  /** Throws what is known to have gone wrong. */
  check(): void {
    if (this.first) throw this.first;
  }

  /** Takes back a fault that was dealt with, unless the device is gone. */
  forgive(): void {
    if (this.first?.fault !== 'lost') this.first = undefined;
  }
}
