#include "telemetry/hook/kernel_symbols.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace sluice::telemetry {
namespace {

std::string_view TakeWord(std::string_view& line) {
  const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
  const std::size_t end = std::min(line.find_first_of(" \t", begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::string_view WithoutBrackets(std::string_view module) {
  return module.size() > 2 && module.front() == '[' && module.back() == ']' ? module.substr(1, module.size() - 2)
                                                                            : std::string_view();
}

}  // namespace

StatusOr<KernelSymbols> KernelSymbols::Read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return MakeError(absl::StatusCode::kUnavailable, "{}: it cannot be read", path);
  auto symbols = Parse(text.view());
  if (!symbols.ok()) return Annotate(symbols.status(), path);
  return symbols;
}

StatusOr<KernelSymbols> KernelSymbols::Parse(std::string_view text) {
  KernelSymbols symbols;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view digits = TakeWord(line), type = TakeWord(line), name = TakeWord(line);
    const std::string_view module = WithoutBrackets(TakeWord(line));
    std::uint64_t address = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), address, 16);
    const bool is_function = type == "t" || type == "T" || type == "w" || type == "W";
    if (address == 0 || !is_function || name.size() > UINT16_MAX || module.size() > UINT16_MAX) continue;
    symbols.entries_.push_back({.address = address,
                                .begin = static_cast<std::uint32_t>(symbols.names_.size()),
                                .name_length = static_cast<std::uint16_t>(name.size()),
                                .module_length = static_cast<std::uint16_t>(module.size())});
    symbols.names_.append(name).append(module);
  }
  if (symbols.entries_.empty())
    return MakeError(absl::StatusCode::kUnavailable, "no function has an address: see kernel.kptr_restrict");
  std::stable_sort(symbols.entries_.begin(), symbols.entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.address < b.address; });
  return symbols;
}

std::optional<KernelSymbols::Symbol> KernelSymbols::Find(std::uint64_t address) const {
  auto after = std::upper_bound(entries_.begin(), entries_.end(), address,
                                [](std::uint64_t a, const Entry& entry) { return a < entry.address; });
  if (after == entries_.begin()) return std::nullopt;
  const Entry& entry = *std::prev(after);
  const std::string_view names = names_;
  return Symbol{.name = names.substr(entry.begin, entry.name_length),
                .module = names.substr(entry.begin + entry.name_length, entry.module_length),
                .offset = address - entry.address};
}

}  // namespace sluice::telemetry
