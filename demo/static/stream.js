/*
 * Copyright (C) the ngx_wsgi authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lists the chunks of /stream/events with the moment each of them arrived.
 */

const button = document.getElementById("start");
const list = document.getElementById("chunks");

button.addEventListener("click", () => {
    const source = new EventSource(button.dataset.url);
    const began = performance.now();

    const show = (text) => {
        const item = document.createElement("li");
        const after = ((performance.now() - began) / 1000).toFixed(2);
        item.textContent = `after ${after} s: ${text}`;
        list.append(item);
    };

    const stop = () => {
        source.close();
        button.disabled = false;
    };

    list.replaceChildren();
    button.disabled = true;

    source.addEventListener("message", (event) => show(event.data));
    source.addEventListener("end", (event) => { show(event.data); stop(); });
    source.addEventListener("error", () => { show("the connection was lost"); stop(); });
});
