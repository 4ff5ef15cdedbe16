// What the tabs need from the page around them.
export interface Page {
  readonly element: HTMLElement;
  show(): void; // it becomes visible: asks the agent, and asks again from time to time
  hide(): void;
}

export interface Shell {
  answered(): void; // the agent answers
  failed(error: Error): void;
  mayQuarantine(): boolean;
  confirmQuarantine(namespace: string, name: string, release: boolean, done: () => void): void;
}
