package backend

import "github.com/redis/go-redis/v9"

// passThrough is a hook that changes nothing. Others embed it and change what they are for.
type passThrough struct{}

// DialHook is where connections are made.
func (passThrough) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook is where a command is sent.
func (passThrough) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook is where several commands are sent together.
func (passThrough) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// isGreeting reports whether a command is one with which go-redis prepares a new connection, on behalf of another.
func isGreeting(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "auth", "select", "readonly":
		return true
	}
	return false
}
