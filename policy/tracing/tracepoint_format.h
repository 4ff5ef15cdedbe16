// The fields of tracepoints' records, for hooks on them. Pure: the running kernel's formats are in
// kernel/bpf/tracing_files.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::policy::tracing {

struct TracepointField {
  enum class Kind {
    kNumber,           // of `size` bytes
    kPointer,          // into the kernel's memory, unless the tracepoint's own code says otherwise
    kArray,            // of `size` bytes in all, in the record itself
    kDataLocation,     // 4 bytes that say where in the record a text is, and how long
    kRelativeLocation  // likewise, counted from the field's end
  };

  std::string name;
  Kind kind = Kind::kNumber;
  std::uint32_t offset = 0;  // in the record
  std::uint32_t size = 0;
  bool is_signed = false;
  bool of_chars = false;  // an array: of char
};

// What a file `format` below events/ in tracefs says, in its order. InvalidArgument names the line that is no field.
StatusOr<std::vector<TracepointField>> ParseTracepointFormat(std::string_view text);

// The fields common to all records are at the begin, where programs find something else.
inline constexpr std::uint32_t kFirstOwnOffset = 8;

// What tracefs says. Pure: the running kernel's is kernel/bpf/tracing_files.h.
class TracepointFormats {
 public:
  virtual ~TracepointFormats() = default;

  // In the order of the format, the common ones first. NotFound: this kernel has no such tracepoint, or no tracefs.
  virtual StatusOr<std::vector<TracepointField>> FieldsOf(const std::string& group, const std::string& name) const = 0;
  // Names of the kernel's functions that can be traced, each of which only one function has. NotFound: the kernel does
  // not say.
  virtual StatusOr<std::vector<std::string>> Functions() const = 0;
};

}  // namespace sluice::policy::tracing
