// Draws openapi.json, and sends requests from forms. Nothing is fetched from anywhere else.

const LONGEST = 300; // letters of a string in a shown answer; maps are megabytes

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function table(head, rows) {
  const line = (kind, cells) => element("tr", {}, ...cells.map((cell) => element(kind, {}, cell)));
  return element("table", {}, element("thead", {}, line("th", head)), element("tbody", {}, ...rows.map((row) => line("td", row))));
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" | ");
  const type = [schema.type].flat().join(" or ");
  return schema.items ? `${type} of ${typeOf(schema.items)}` : type;
}

function command(path, method, operation) {
  const address = `${location.origin}${path}`;
  return operation.requestBody
    ? `curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg '${address}'\ncurl -F image=@photo.jpg '${address}?format=mask' -o mask.png`
    : `curl ${address}`;
}

function drawOperation(path, method, operation) {
  const parameters = operation.parameters ?? [];
  const answers = Object.entries(operation.responses).map(([status, answer]) => [status, answer.description, Object.keys(answer.content ?? {}).join(", ")]);
  return element("article", { className: "panel" },
    element("h2", {}, element("span", { className: "verb" }, method.toUpperCase()), ` ${path}`),
    element("p", {}, operation.summary),
    operation.description ? element("p", { className: "small" }, operation.description) : "",
    parameters.length ? table(["query", "type", "default", "meaning"], parameters.map((one) => [one.name, typeOf(one.schema), String(one.schema.default ?? ""), one.description])) : "",
    element("pre", {}, command(path, method, operation)),
    table(["status", "meaning", "content"], answers),
    drawForm(path, method, operation, parameters));
}

function drawForm(path, method, operation, parameters) {
  const output = element("pre", { hidden: true, tabIndex: 0 });
  const shown = element("div");
  const inputs = parameters.map((one) => {
    const choices = one.schema.type === "boolean" ? ["false", "true"] : one.schema.enum;
    const input = choices ? element("select", {}, ...choices.map((word) => element("option", {}, word))) : element("input", { value: one.schema.default ?? "" });
    input.name = one.name;
    return input;
  });
  const file = operation.requestBody ? element("input", { type: "file", required: true }) : null;
  const form = element("form", {},
    ...inputs.map((input) => element("label", {}, input.name, input)),
    ...(file ? [element("label", {}, "body: the picture", file)] : []),
    element("button", { className: "primary" }, "Send"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams(inputs.map((input) => [input.name, input.value]));
    const address = inputs.length ? `${path}?${query}` : path;
    output.hidden = false;
    output.textContent = "…";
    shown.replaceChildren();
    try {
      await showAnswer(await fetch(address, { method: method.toUpperCase(), body: file?.files[0] }), output, shown);
    } catch (error) {
      output.textContent = `The server does not answer (${error.message}).`;
    }
  });
  return element("div", {}, form, output, shown);
}

async function showAnswer(response, output, shown) {
  const kind = response.headers.get("Content-Type") ?? "";
  output.textContent = `${response.status} ${kind}\n`;
  if (kind.startsWith("image/")) {
    const picture = element("img", { src: URL.createObjectURL(await response.blob()), alt: "Answer" });
    picture.style.maxWidth = "100%";
    shown.append(picture);
    return;
  }
  const shorten = (_, value) => (typeof value === "string" && value.length > LONGEST ? `${value.slice(0, 60)}… (${value.length} letters)` : value);
  output.textContent += JSON.stringify(JSON.parse(await response.text(), shorten), null, 1);
}

function drawSchema(name, schema) {
  const rows = Object.entries(schema.properties).map(([field, one]) => [field, typeOf(one), one.description ?? ""]);
  return element("article", { className: "panel" }, element("h2", {}, name), table(["field", "type", "meaning"], rows));
}

const document_ = await (await fetch("/openapi.json")).json();
document.getElementById("about").textContent = `${document_.info.description} Version ${document_.info.version}.`;
for (const [path, operations] of Object.entries(document_.paths)) {
  for (const [method, operation] of Object.entries(operations)) {
    document.getElementById("operations").append(drawOperation(path, method, operation));
  }
}
for (const [name, schema] of Object.entries(document_.components.schemas)) {
  document.getElementById("schemas").append(drawSchema(name, schema));
}
document.documentElement.dataset.ready = "true";
