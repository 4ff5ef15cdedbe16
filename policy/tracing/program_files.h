// Programs and libraries that uprobes and usdts name. Pure: files are read by kernel/hooks/program_files.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::policy::tracing {

// A place of a static probe (SDT). A probe whose function was inlined has several.
struct StaticProbe {
  std::uint64_t offset = 0;   // of its instruction, in the file
  std::uint64_t counter = 0;  // where in the file a counter is that must be above 0 while somebody watches; 0: nowhere
  std::string arguments;      // as its note says: "-4@%edi 8@-8(%rbp)"
};

class ProgramFiles {
 public:
  virtual ~ProgramFiles() = default;

  // Offsets are those in the file. NotFound: there is no such file, symbol, address or probe. InvalidArgument: the file
  // is no program for this machine.
  virtual StatusOr<std::uint64_t> OffsetOfSymbol(const std::string& path, const std::string& symbol) const = 0;
  virtual StatusOr<std::uint64_t> OffsetOfAddress(const std::string& path, std::uint64_t address) const = 0;
  // At least one.
  virtual StatusOr<std::vector<StaticProbe>> ProbesOf(const std::string& path, const std::string& provider,
                                                      const std::string& name) const = 0;
  // "HEX" in lower case; `algorithm`: sha1, sha256, sha384, sha512 or build-id.
  virtual StatusOr<std::string> DigestOf(const std::string& path, const std::string& algorithm) const = 0;
};

}  // namespace sluice::policy::tracing
