// Keys in the initial metadata of an Observe stream, which the agent sends before the first event. Values are bytes,
// because names and texts need not be ASCII.
#pragma once

namespace sluice::api {

inline constexpr char kNodeKey[] = "sluice-node-bin";      // the agent's node: the stream has begun
inline constexpr char kNoticeKey[] = "sluice-notice-bin";  // a line for people; may occur several times

}  // namespace sluice::api
