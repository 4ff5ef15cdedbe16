// Captures for tests: frames written with libpcap, or as the bytes of a pcapng file.
//   Capture capture(dir.File("a.pcap"));
//   capture.Add(0.5, Eth{} / Ipv4{} / Tcp{});
//   capture.Close();
#pragma once

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include <filesystem>
#include <fstream>

#include "testbed/packet.h"

namespace sluice::replay {

inline constexpr char kWeb[] = "10.0.0.1";
inline constexpr char kDb[] = "10.0.0.2";

// A directory that goes with the object.
class TempDir {
 public:
  TempDir() {
    std::string name = ::testing::TempDir() + "sluice-replay-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(File(name), std::ios::binary) << text;
    return File(name);
  }

 private:
  std::string path_;
};

inline constexpr std::int64_t kCaptureBegin = 1'600'000'000;  // 2020-09-13T12:26:40Z

// Microsecond pcap.
class Capture {
 public:
  explicit Capture(const std::string& path, int link_type = DLT_EN10MB, std::uint32_t snaplen = 65535)
      : snaplen_(snaplen), pcap_(pcap_open_dead(link_type, static_cast<int>(snaplen))) {
    dumper_ = pcap_dump_open(pcap_, path.c_str());
    EXPECT_NE(dumper_, nullptr) << pcap_geterr(pcap_);
  }
  ~Capture() { Close(); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  void Add(double seconds, const test::Frame& frame) {
    pcap_pkthdr header{};
    header.ts.tv_sec = kCaptureBegin + static_cast<std::int64_t>(seconds);
    header.ts.tv_usec =
        static_cast<std::int64_t>((seconds - static_cast<double>(static_cast<std::int64_t>(seconds))) * 1e6);
    header.len = static_cast<bpf_u_int32>(frame.size());
    header.caplen = std::min(header.len, snaplen_);
    pcap_dump(reinterpret_cast<u_char*>(dumper_), &header, frame.data());
  }
  void Add(double seconds, const test::Packet& packet) { Add(seconds, packet.ToFrame()); }
  void Close() {
    if (dumper_ == nullptr) return;
    pcap_dump_close(dumper_);
    pcap_close(pcap_);
    dumper_ = nullptr;
  }

 private:
  std::uint32_t snaplen_;
  pcap_t* pcap_;
  pcap_dumper_t* dumper_ = nullptr;
};

// A pcapng file of one Ethernet interface with nanosecond times (draft-ietf-opsawg-pcapng).
class PcapNg {
 public:
  PcapNg() {
    Block(0x0a0d0d0a, Little(0x1a2b3c4d, 4) + Little(1, 2) + Little(0, 2) + Little(UINT64_MAX, 8));
    Block(1, Little(DLT_EN10MB, 2) + Little(0, 2) + Little(65535, 4) +        // interface description
                 Little(9, 2) + Little(1, 2) + Little(9, 4) + Little(0, 4));  // if_tsresol 10^-9, end
  }
  void Add(std::uint64_t ns, const test::Packet& packet) {
    const test::Frame frame = packet.ToFrame();
    std::string data(frame.begin(), frame.end());
    data.resize((data.size() + 3) / 4 * 4);
    Block(6, Little(0, 4) + Little(ns >> 32U, 4) + Little(ns & UINT32_MAX, 4) + Little(frame.size(), 4) +
                 Little(frame.size(), 4) + data);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  static std::string Little(std::uint64_t value, int size) {
    std::string out;
    for (int i = 0; i < size; i++) out.push_back(static_cast<char>(value >> (8 * i) & 0xffU));
    return out;
  }
  void Block(std::uint32_t type, const std::string& body) {
    const std::string length = Little(body.size() + 12, 4);
    bytes_ += Little(type, 4) + length + body + length;
  }
  std::string bytes_;
};

}  // namespace sluice::replay
