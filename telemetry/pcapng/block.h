// Blocks of the pcapng format (draft-ietf-opsawg-pcapng), in the byte order of this machine. libpcap reads the format
// and does not write it. Pure.
//
//   Block block(kSectionHeader);
//   block.Put32(kByteOrderMagic); ...
//   block.PutText(kOptionComment, "why");
//   file += block.Finish();
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::pcapng {

enum BlockType : std::uint32_t {
  kSectionHeader = 0x0a0d0d0a,
  kInterfaceDescription = 1,
  kNameResolution = 4,
  kInterfaceStatistics = 5,
  kEnhancedPacket = 6,
  kCustom = 0x00000bad,  // that tools copy
};
inline constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;

enum Option : std::uint16_t {
  kOptionComment = 1,
  kSectionSystem = 3,
  kSectionApplication = 4,
  kInterfaceName = 2,
  kInterfaceDescriptionText = 3,
  kInterfaceTimeResolution = 9,
  kPacketFlags = 2,
  kStatisticsDropped = 5,
  kCustomText = 2988,  // that tools copy
};

// Sluice has no Private Enterprise Number: the one for examples (RFC 5612).
inline constexpr std::uint32_t kEnterprise = 32473;

class Block {
 public:
  explicit Block(BlockType type);

  void Put16(std::uint16_t value) { PutRaw(&value, sizeof(value)); }
  void Put32(std::uint32_t value) { PutRaw(&value, sizeof(value)); }
  void Put64(std::uint64_t value) { PutRaw(&value, sizeof(value)); }
  // Padded to a multiple of four bytes.
  void PutBytes(std::string_view bytes);

  // Options come last. A text is cut to what an option can hold, at the end of a character.
  void PutText(Option option, std::string_view text);
  void PutOption(Option option, std::string_view bytes);
  void PutOption32(Option option, std::uint32_t value);
  void PutCustomText(std::string_view text);

  // The whole block. Once.
  std::string Finish();

 private:
  void PutRaw(const void* bytes, std::size_t size);

  std::string bytes_;
  bool has_options_ = false;
};

}  // namespace sluice::pcapng
