// Browsers start no Worker from a page on the disk, and the search is one: there, run it in a hidden frame of the page.
// The name is the one that the `offline` plugin looks for before it takes its own from the network.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const { contentDocument, contentWindow } = this.frame;
      contentWindow.postMessage = (data) => this.onmessage?.({ data });
      const script = contentDocument.createElement("script");
      script.src = url;
      this.ready = new Promise((resolve, reject) => {
        script.onload = resolve;
        script.onerror = reject;
      });
      contentDocument.body.append(script);
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.onmessage({ data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
