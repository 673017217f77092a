// Search in pages that are opened from the disk, where browsers refuse workers: the search runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = new Promise((resolve) => {
        const element = document.createElement("iframe");
        element.hidden = true;
        document.body.append(element);
        const frame = element.contentWindow;
        frame.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        const script = frame.document.createElement("script");
        script.src = url;
        script.onload = () => resolve(frame);
        frame.document.head.append(script);
      });
    }
    postMessage(data) {
      this.frame.then((frame) => frame.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
