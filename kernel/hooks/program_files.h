// Programs and libraries of this machine, for policies that name places in them. Paths are those of this process.
#pragma once

#include "policy/tracing/program_files.h"

namespace sluice::hooks {

// Reads a file at each call: nothing is kept.
class ProgramFiles final : public policy::tracing::ProgramFiles {
 public:
  StatusOr<std::uint64_t> OffsetOfSymbol(const std::string& path, const std::string& symbol) const override;
  StatusOr<std::uint64_t> OffsetOfAddress(const std::string& path, std::uint64_t address) const override;
  StatusOr<std::vector<policy::tracing::StaticProbe>> ProbesOf(const std::string& path, const std::string& provider,
                                                               const std::string& name) const override;
  StatusOr<std::string> DigestOf(const std::string& path, const std::string& algorithm) const override;
};

}  // namespace sluice::hooks
