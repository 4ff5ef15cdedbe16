// Bytes as they come -> lines, each with the padding behind it that ParseJson needs. For one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::kube {

class LineReader {
 public:
  explicit LineReader(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  void Clear();
  void Add(std::string_view data);
  // The next whole line, without its end; valid until Add or Clear. Nothing: it has not come yet.
  std::optional<std::string_view> Next();
  // A line, whole or not, is longer than it may be. Next returns nothing from then on.
  bool too_long() const { return too_long_; }
  // Bytes of a line whose end has not come.
  std::size_t unfinished() const { return buffer_.size() - begin_; }
  const std::string& buffer() const { return buffer_; }  // where the lines are

 private:
  std::size_t max_bytes_;
  std::string buffer_;
  std::size_t begin_ = 0;    // of the next line
  std::size_t scanned_ = 0;  // no line ends between these two
  bool too_long_ = false;
};

}  // namespace sluice::kube
