#include "kernel/bpf/preempt_counter.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace sluice::bpf {

PreemptCounter ParsePreemptCounter(std::istream& symbols) {
  PreemptCounter found;
  std::uint64_t hot = 0;
  // "ffffffff82a1c020 D __per_cpu_offset", and behind the name "[MODULE]" for a module's symbol.
  for (std::string line; std::getline(symbols, line);) {
    const std::string_view text = line;
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || space + 3 > text.size()) continue;
    const std::string_view name = text.substr(space + 3);
    if (name != "__per_cpu_offset" && name != "__preempt_count" && name != "pcpu_hot") continue;
    const std::uint64_t value = std::strtoull(line.c_str(), nullptr, 16);
    (name == "__per_cpu_offset" ? found.per_cpu_offsets : name == "pcpu_hot" ? hot : found.counter) = value;
  }
  if (found.counter == 0) found.counter = hot;
  return found.known() ? found : PreemptCounter();
}

PreemptCounter FindPreemptCounter() {
  std::ifstream symbols("/proc/kallsyms");
  return ParsePreemptCounter(symbols);
}

}  // namespace sluice::bpf
