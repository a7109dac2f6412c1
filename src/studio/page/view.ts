/** What all views have in common: an element that is rendered anew, soon, after anything changed. */
import { html, render, type TemplateResult } from 'lit';
import type { Route } from './route.ts';

/** A part of the page that fills it under one tab. */
export abstract class View {
  readonly element = document.createElement('section');
  private asked = false;
  private failure: string | null = null;

  constructor(name: string) {
    this.element.className = `view ${name}`;
  }

  /** Shows what the route names. */
  protected abstract open(route: Route): Promise<void>;
  /** Stops what runs. */
  abstract close(): void;
  protected abstract template(): TemplateResult;

  async show(route: Route): Promise<void> {
    this.failure = null;
    try {
      await this.open(route);
    } catch (error) {
      this.fail(error as Error);
    }
    this.update();
  }

  /** Says in place of the view what is wrong. */
  protected fail(error: Error): void {
    console.warn(error.message);
    this.failure = error.message;
    this.update();
  }

  /** Renders before the next frame. */
  update(): void {
    if (this.asked) return;
    this.asked = true;
    queueMicrotask(() => {
      this.asked = false;
      render(
        this.failure === null ? this.template() : html`<p class="problem" role="alert">${this.failure}</p>`,
        this.element,
      );
    });
  }
}
