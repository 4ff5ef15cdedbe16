#include "perf/dpdk/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <cstdlib>

namespace sluice::perf {
namespace {

// "0@1,1@0": lcore 0, the calling thread, on CPU 1.
std::string Lcores(const std::vector<int>& cpus) {
  std::string lcores;
  for (std::size_t i = 0; i < cpus.size(); ++i) lcores += fmt::format("{}{}@{}", i == 0 ? "" : ",", i, cpus[i]);
  return lcores;
}

std::vector<std::string> WordsOf(const EalOptions& options) {
  std::vector<std::string> words = {"sluice", "--lcores", Lcores(options.cpus), "-m",
                                    fmt::format("{}", options.megabytes),
                                    // Nothing of this process is shared: no files, no sockets.
                                    "--log-level=warning", "--force-max-simd-bitwidth=512", "--no-telemetry",
                                    "--no-shconf", "--file-prefix", "sluice"};
  words.push_back(options.huge_pages ? "--in-memory" : "--no-huge");
  bool pci = false;
  for (const std::string& device : options.devices) {
    const bool is_virtual = device.starts_with("net_");
    pci = pci || !is_virtual;
    words.insert(words.end(), {is_virtual ? "--vdev" : "-a", device});
  }
  if (!pci) words.push_back("--no-pci");  // else it would take every card that it can
  return words;
}

}  // namespace

Eal::Eal() : log_(open_memstream(&text_, &size_)) {}

Eal::~Eal() {
  if (started_) rte_eal_cleanup();
  rte_openlog_stream(nullptr);
  if (log_ != nullptr) fclose(log_);
  std::free(text_);
}

StatusOr<std::unique_ptr<Eal>> Eal::Start(const EalOptions& options) {
  std::unique_ptr<Eal> eal(new Eal);
  if (eal->log_ == nullptr || rte_openlog_stream(eal->log_) != 0) return ErrnoError(errno, "keep DPDK's log");
  std::vector<std::string> words = WordsOf(options);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0)
    return MakeError(absl::StatusCode::kFailedPrecondition, "start DPDK: {}: {}", rte_strerror(rte_errno), eal->Log());
  eal->started_ = true;
  return eal;
}

std::string Eal::Log() const {
  fflush(log_);
  std::string text(text_, size_);
  while (text.ends_with('\n')) text.pop_back();
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text.replace(at, 1, "; ");
  return text;
}

}  // namespace sluice::perf
