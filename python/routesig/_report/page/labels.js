// How wide texts are, and how many of a row of labels have room.

const ruler = document.createElement("canvas").getContext("2d");

/** Pixels of a text of a size. */
function textWidth(text, size) {
  ruler.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

/** A text cut to so many pixels. */
function fitted(text, width, size) {
  if (textWidth(text, size) <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (textWidth(`${text.slice(0, middle)}…`, size) <= width) low = middle; else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}

/** Which of labels at these places stand at least `room` apart. */
function spaced(places, room) {
  let last = -Infinity;
  return places.flatMap((place, i) => {
    if (place - last < room) return [];
    last = place;
    return [i];
  });
}
