// A client that sends most of a large Apply and then stops, in raw HTTP/2 frames (RFC 9113), because gRPC's clients
// send all or nothing.
//   HalfRequest half(Connect(user), 60U << 20);
//   half.sent();  // as far as the server took it within some seconds
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "base/fd.h"

namespace sluice::api {

class HalfRequest {
 public:
  HalfRequest(Fd socket, std::size_t bytes)
      : socket_(std::move(socket)), size_(bytes), thread_(&HalfRequest::Run, this) {}
  ~HalfRequest() {
    shutdown(socket_.get(), SHUT_RDWR);
    thread_.join();
  }
  HalfRequest(const HalfRequest&) = delete;
  HalfRequest& operator=(const HalfRequest&) = delete;

  std::size_t sent() const { return sent_; }
  bool ended() const { return ended_; }  // by the server

 private:
  static constexpr std::uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kWindow = 8;
  static constexpr std::size_t kFrame = 16384;

  static std::string Number(std::uint64_t value, int bytes) {
    std::string text;
    for (int i = bytes - 1; i >= 0; --i) text.push_back(static_cast<char>(value >> (8 * i)));
    return text;
  }
  static std::string Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const std::string& payload) {
    return Number(payload.size(), 3) + Number(type, 1) + Number(flags, 1) + Number(stream, 4) + payload;
  }
  // HPACK (RFC 7541): two from the static table, the others as literals.
  static std::string Headers() {
    const auto text = [](const std::string& value) { return Number(value.size(), 1) + value; };
    return std::string("\x83\x86\x04") + text("/sluice.v1.Sluice/Apply") + "\x01" + text("agent") + "\x0f\x10" +
           text("application/grpc") + std::string(1, '\0') + text("te") + text("trailers");
  }

  bool Send(const std::string& bytes) const {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t got = send(socket_.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (got <= 0) return false;
      at += static_cast<std::size_t>(got);
    }
    return true;
  }
  // Reads arrived data; false: the connection or the stream has ended.
  bool Receive(int wait_ms) {
    pollfd polled{socket_.get(), POLLIN, 0};
    if (poll(&polled, 1, wait_ms) <= 0) return true;
    char buffer[65536];
    const ssize_t got = recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(got));
    const auto number = [&](std::size_t at, int bytes) {
      std::uint32_t value = 0;
      for (int i = 0; i < bytes; ++i)
        value = value << 8U | static_cast<std::uint8_t>(received_[at + static_cast<std::size_t>(i)]);
      return value;
    };
    while (received_.size() >= 9 && received_.size() >= 9 + number(0, 3)) {
      const std::size_t length = number(0, 3);
      const auto type = static_cast<std::uint8_t>(received_[3]), flags = static_cast<std::uint8_t>(received_[4]);
      const std::uint32_t stream = number(5, 4);
      if (stream == 1 && (type == kReset || type == kHeaders)) return false;
      if (type == kWindow) (stream == 0 ? connection_window_ : stream_window_) += number(9, 4);
      if (type == kSettings && (flags & 1) == 0) {
        for (std::size_t at = 9; at < 9 + length; at += 6) {
          if (number(at, 2) != 4) continue;
          stream_window_ += static_cast<std::int64_t>(number(at + 2, 4)) - initial_window_;
          initial_window_ = number(at + 2, 4);
        }
        if (!Send(Frame(kSettings, 1, 0, ""))) return false;
      }
      if (type == kPing && (flags & 1) == 0 && !Send(Frame(kPing, 1, 0, received_.substr(9, 8)))) return false;
      received_.erase(0, 9 + length);
    }
    return true;
  }
  void Run() {
    bool open =
        Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, "") + Frame(kHeaders, 4, 1, Headers()));
    std::string next = std::string(1, '\0') + Number(size_, 4);
    while (open && sent_ < size_ - 1) {
      if (stream_window_ <= 0 || connection_window_ <= 0) {
        open = Receive(100);
        continue;
      }
      const auto window = static_cast<std::size_t>(std::min(stream_window_, connection_window_));
      const std::size_t more = std::min({kFrame, window, size_ - 1 - sent_.load()});
      next.append(more - std::min(more, next.size()), 'x');
      open = Send(Frame(kData, 0, 1, next)) && Receive(0);
      sent_ += next.size();
      stream_window_ -= static_cast<std::int64_t>(next.size());
      connection_window_ -= static_cast<std::int64_t>(next.size());
      next.clear();
    }
    while (open) open = Receive(100);
    ended_ = true;
  }

  const Fd socket_;
  const std::size_t size_;
  std::string received_;
  std::int64_t initial_window_ = 65535;
  std::int64_t stream_window_ = 65535;
  std::int64_t connection_window_ = 65535;
  std::atomic<std::size_t> sent_ = 0;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace sluice::api
