// Protobuf's wire format by hand, for tests in which a wrong number in a .proto file must not go unnoticed.
//   Wire().Text(11, "node-1").Message(8, Wire().Number(2, 259)).bytes()
#pragma once

#include <cstdint>
#include <string>

namespace sluice::test {

class Wire {
 public:
  Wire& Number(std::uint32_t field, std::uint64_t value) {
    Varint(static_cast<std::uint64_t>(field) << 3U);
    return Varint(value);
  }
  Wire& Text(std::uint32_t field, const std::string& text) {
    Varint(static_cast<std::uint64_t>(field) << 3U | 2U);
    Varint(text.size());
    bytes_ += text;
    return *this;
  }
  Wire& Message(std::uint32_t field, const Wire& message) { return Text(field, message.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  Wire& Varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>(value | 0x80U);
    bytes_ += static_cast<char>(value);
    return *this;
  }

  std::string bytes_;
};

}  // namespace sluice::test
