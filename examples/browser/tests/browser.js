// Opens the page in Chromium over the DevTools protocol, through a pipe: node needs no packages for that.
//
// node browser.js CHROMIUM PAGE [PICTURE]: prints what there is to see as JSON, and saves pictures named after PICTURE.
"use strict";
const { spawn } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");
const { pathToFileURL } = require("url");

const [chromium, page, picture] = process.argv.slice(2);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "page-"));
// The sandbox is for pages of strangers, and not to be had as root or in many containers.
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"];
const browser = spawn(chromium, [...flags, `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
});
const [, , , requests, answers] = browser.stdio;

// What is asked and said is JSON with a zero byte at its end.
const waiting = new Map(), errors = [];
let id = 0, text = "", session;
answers.setEncoding("utf8").on("data", data => {
    const messages = (text + data).split("\0");
    text = messages.pop();
    for (const { id, method, params, result, error } of messages.map(JSON.parse)) {
        if (id) waiting.get(id)(error ? Promise.reject(new Error(JSON.stringify(error))) : result);
        if (method === "Runtime.exceptionThrown") errors.push(params.exceptionDetails);
        if (method === "Runtime.consoleAPICalled") errors.push(params.args);
        if (method === "Log.entryAdded") errors.push(params.entry);
    }
});
const ask = (method, params = {}) => new Promise(resolve => {
    waiting.set(++id, resolve);
    requests.write(JSON.stringify({ id, method, params, sessionId: session }) + "\0");
});

async function evaluate(expression) {
    const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

async function until(expression) {
    while (!await evaluate(expression)) await pause(20);
}

const number = id => `Number(document.getElementById("${id}").textContent)`;
const press = id => evaluate(`document.getElementById("${id}").click()`);
/// What the page says, and the observation with all its digits.
const look = () => evaluate(`({
    steps: ${number("steps")}, earned: ${number("earned")}, note: document.getElementById("note").textContent,
    observation: document.body.dataset.observation.split(",").map(Number),
})`);

async function screen(width, height, scheme) {
    await ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    await pause(100); // For the page to draw itself anew.
    if (picture) {
        const { data } = await ask("Page.captureScreenshot");
        fs.writeFileSync(`${picture}-${width}-${scheme}.png`, Buffer.from(data, "base64"));
    }
    return evaluate(`({ width: document.documentElement.scrollWidth,
        paper: getComputedStyle(document.body).backgroundColor })`);
}

async function visit() {
    // The tab that is there, as another one would be in the background and draw nothing.
    const { targetInfos } = await ask("Target.getTargets");
    const { targetId } = targetInfos.find(({ type }) => type === "page");
    ({ sessionId: session } = await ask("Target.attachToTarget", { targetId, flatten: true }));
    await Promise.all(["Runtime.enable", "Log.enable", "Page.enable"].map(method => ask(method)));
    await ask("Page.navigate", { url: `${pathToFileURL(page)}#7` });
    await until(`document.readyState === "complete" && ${number("steps")} >= 150`);
    await press("pause");
    const before = await look();
    await press("step");
    await until(`${number("steps")} > ${before.steps}`);
    const stepped = await look();

    // A finger beside the pole.
    const [x, y] = await evaluate(`(box => [box.x + box.width * .3, box.y + box.height * .4])(
        document.getElementById("stage").getBoundingClientRect())`);
    for (const type of ["mousePressed", "mouseReleased"]) {
        await ask("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
    }
    await until(`document.body.dataset.observation !== "${stepped.observation}"`);
    const poked = await look();
    await press("pause");
    await until(`${number("steps")} >= ${poked.steps + 100}`);
    await press("nudge-left");
    await until(`${number("steps")} >= ${poked.steps + 250}`);
    const recovered = await look();
    const screens = [];
    for (const size of [[1100, 800], [360, 880]]) {
        for (const scheme of ["light", "dark"]) screens.push(await screen(...size, scheme));
    }
    await evaluate(`document.getElementById("seed").value = 11`);
    await evaluate(`document.forms[0].requestSubmit()`);
    await press("pause");
    await until(`${number("steps")} < ${recovered.steps}`);
    const again = await look();
    const hash = await evaluate("location.hash");
    return { before, stepped, poked, recovered, screens, again, hash, errors };
}

const late = setTimeout(() => finish(new Error("the page has not answered for a minute")), 60_000);
function finish(error, seen) {
    clearTimeout(late);
    browser.once("exit", () => {
        try {
            fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
        } catch (error) {
            // Chromium's helpers may still write there; a folder that is left behind says nothing of the page.
            console.error(`${profile} is left: ${error.message}`);
        }
        if (error) console.error(error);
        else console.log(JSON.stringify(seen));
        process.exit(error ? 1 : 0);
    });
    browser.kill();
}
visit().then(seen => finish(null, seen), finish);
