#include "telemetry/pcapng/block.h"

#include <algorithm>
#include <cstring>

namespace sluice::pcapng {
namespace {

constexpr std::size_t kLongestOption = 65535;

// Not in the middle of a UTF-8 character.
std::string_view CutText(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return text.substr(0, most);
}

}  // namespace

Block::Block(BlockType type) {
  Put32(type);
  Put32(0);  // the length, when it is known
}

void Block::PutRaw(const void* bytes, std::size_t size) { bytes_.append(static_cast<const char*>(bytes), size); }

void Block::PutBytes(std::string_view bytes) {
  bytes_.append(bytes);
  bytes_.append(-bytes.size() & 3, '\0');
}

void Block::PutOption(Option option, std::string_view bytes) {
  bytes = bytes.substr(0, kLongestOption);
  Put16(option);
  Put16(static_cast<std::uint16_t>(bytes.size()));
  PutBytes(bytes);
  has_options_ = true;
}

void Block::PutText(Option option, std::string_view text) { PutOption(option, CutText(text, kLongestOption)); }

void Block::PutOption32(Option option, std::uint32_t value) {
  PutOption(option, {reinterpret_cast<const char*>(&value), sizeof(value)});
}

void Block::PutCustomText(std::string_view text) {
  std::string value(reinterpret_cast<const char*>(&kEnterprise), sizeof(kEnterprise));
  value.append(CutText(text, kLongestOption - value.size()));
  PutOption(kCustomText, value);
}

std::string Block::Finish() {
  if (has_options_) Put32(0);  // opt_endofopt
  const auto length = static_cast<std::uint32_t>(bytes_.size() + sizeof(std::uint32_t));
  Put32(length);
  std::memcpy(bytes_.data() + sizeof(std::uint32_t), &length, sizeof(length));
  return std::move(bytes_);
}

}  // namespace sluice::pcapng
