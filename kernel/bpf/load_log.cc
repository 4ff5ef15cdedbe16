#include "kernel/bpf/load_log.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>

namespace sluice::bpf {
namespace {

thread_local std::string* t_load_log = nullptr;

int PrintLibbpf(libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[4096];
  const int length = vsnprintf(line, sizeof(line), format, args);
  if (t_load_log != nullptr) t_load_log->append(line);
  return length;
}

}  // namespace

LoadLog::LoadLog() {
  libbpf_set_print(PrintLibbpf);
  t_load_log = &text_;
}

LoadLog::~LoadLog() { t_load_log = nullptr; }

std::string LoadLog::LastLines(int lines) const {
  std::size_t at = text_.size();
  while (lines-- > 0 && at != std::string::npos && at > 0) at = text_.rfind('\n', at - 1);
  return at == std::string::npos ? text_ : text_.substr(at + 1);
}

}  // namespace sluice::bpf
