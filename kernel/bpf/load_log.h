// Collects what libbpf prints, so that an error can quote its end, and that what is expected is not printed. One at a
// time in a thread.
#pragma once

#include <string>

namespace sluice::bpf {

class LoadLog {
 public:
  LoadLog();
  ~LoadLog();
  LoadLog(const LoadLog&) = delete;
  LoadLog& operator=(const LoadLog&) = delete;

  const std::string& text() const { return text_; }
  std::string LastLines(int lines) const;

 private:
  std::string text_;
};

}  // namespace sluice::bpf
