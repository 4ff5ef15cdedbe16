// Files of tracefs: the formats and numbers of tracepoints, and names of functions.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/bpf/admin_calls.h"
#include "policy/tracing/tracepoint_format.h"

namespace sluice::bpf {

// Not thread-safe. Opens tracefs when it is first needed, wherever it is mounted or not.
class TracingFiles final : public policy::tracing::TracepointFormats {
 public:
  // `calls` must outlive it.
  explicit TracingFiles(const AdminCalls& calls = OwnAdminCalls()) : calls_(calls) {}

  // NotFound: this kernel has no such tracepoint, or no tracefs.
  StatusOr<std::vector<policy::tracing::TracepointField>> FieldsOf(const std::string& group,
                                                                   const std::string& name) const override;
  StatusOr<std::vector<std::string>> Functions() const override;
  // For AdminCalls::OpenTracepoint. NotFound likewise.
  StatusOr<std::uint32_t> TracepointId(const std::string& group, const std::string& name) const;

 private:
  Status OpenRoot(const std::string& what) const;
  StatusOr<std::string> ReadEventFile(const std::string& group, const std::string& name, const char* file) const;

  const AdminCalls& calls_;
  mutable Fd root_;
};

}  // namespace sluice::bpf
