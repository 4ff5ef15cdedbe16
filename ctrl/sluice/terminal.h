// What standard output is: a terminal with a size and colours, or something that programs read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::client {

struct Window {
  std::size_t rows = 0;
  std::size_t columns = 0;
};

// Nothing: it is no terminal, or it does not say.
std::optional<Window> WindowOfOutput();

bool OutputIsTerminal();
// A terminal, and nobody asked for none by NO_COLOR (https://no-color.org).
bool OutputTakesColor();

// `text` in at most `width` characters; where it is longer, its end, which tells paths and names apart: "..in/python3".
std::string CutFront(std::string_view text, std::size_t width);

}  // namespace sluice::client
