#include "ctrl/sluice/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace sluice::client {
namespace {

constexpr std::string_view kCut = "..";

bool ContinuesCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

}  // namespace

std::optional<Window> WindowOfOutput() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return std::nullopt;
  return Window{.rows = size.ws_row, .columns = size.ws_col};
}

bool OutputIsTerminal() { return isatty(STDOUT_FILENO) != 0; }

bool OutputTakesColor() {
  const char* const unwanted = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
  return OutputIsTerminal() && !dumb && (unwanted == nullptr || *unwanted == '\0');
}

std::string CutFront(std::string_view text, std::size_t width) {
  if (text.size() <= width) return std::string(text);
  if (width <= kCut.size()) return std::string(kCut.substr(0, width));
  std::size_t begin = text.size() - (width - kCut.size());
  while (begin < text.size() && ContinuesCharacter(text[begin])) ++begin;
  return std::string(kCut).append(text.substr(begin));
}

}  // namespace sluice::client
