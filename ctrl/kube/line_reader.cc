#include "ctrl/kube/line_reader.h"

#include "ctrl/kube/api_json.h"

namespace sluice::kube {

void LineReader::Clear() {
  buffer_ = {};
  begin_ = scanned_ = 0;
  too_long_ = false;
}

void LineReader::Add(std::string_view data) {
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
  }
  buffer_.append(data);
  PadForJson(buffer_);
}

std::optional<std::string_view> LineReader::Next() {
  if (too_long_) return std::nullopt;
  const std::size_t end = buffer_.find('\n', scanned_);
  scanned_ = end == std::string::npos ? buffer_.size() : end + 1;
  if (scanned_ - begin_ > max_bytes_) {
    too_long_ = true;
    return std::nullopt;
  }
  if (end == std::string::npos) return std::nullopt;
  const std::string_view line = std::string_view(buffer_).substr(begin_, end - begin_);
  begin_ = scanned_;
  return line;
}

}  // namespace sluice::kube
