// What waiting for sockets takes of the system.
#pragma once

namespace llamajit::serve {

// Boost.Asio does not look at what epoll_wait(2) and its kind answer: where a container's filter refuses them, a server
// would turn in circles, answer nobody and hear no signal. Asks for each once. Throws std::runtime_error that names the
// call which is refused.
void check_events();

}  // namespace llamajit::serve
