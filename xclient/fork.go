package xclient

import "context"

// Fork calls the named method on all servers at once. The first good answer is
// decoded into reply, a pointer, nil drops it; and the calls to the other
// servers are cancelled before Fork returns. The method should be one that may
// run on any number of servers.
//
// If there is no good answer, the error joins that of each server, as
// Broadcast's does; and so it does in the cases that Broadcast lists.
//
// args is encoded by several goroutines at once. Reply metadata comes with the
// answer.
func (xc *XClient) Fork(ctx context.Context, serviceMethod string, args, reply any) error {
	answered, err := xc.callAll(ctx, serviceMethod, args, reply, func(err error) bool { return err == nil })
	if answered {
		return nil
	}
	return err
}
